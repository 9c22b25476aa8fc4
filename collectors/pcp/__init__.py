"""Performance Co-Pilot: archives, and what ``pmrep`` made of them elsewhere."""
