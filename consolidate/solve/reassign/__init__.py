"""Machine reassignment: who runs where, when every host may carry a cost of its own.

Packing asks how few hosts suffice. Reassignment takes the hosts as given and asks for the cheapest placement under
everything a placement may cost: open hosts, load over a soft capacity, a convex load penalty, unbalanced remains and
moves. It is the problem of the ROADEF/EURO challenge 2012 and of its successors, in one statement (`problem`), one
plain scorer (`score`), one delta (`delta`), and searches built on that.
"""
