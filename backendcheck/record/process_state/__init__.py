"""State of the whole process that a case, a test or a fixture can leave behind: read before it, restored after it.

Each module has a table of `items`. What cannot be restored is noticed all the same: its worker is then replaced.
"""
