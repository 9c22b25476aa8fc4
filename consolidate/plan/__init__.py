"""The plan: a document, with the order of moves and a reason for each."""
