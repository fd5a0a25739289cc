"""The page of results: its tables, its figures, and the paper's numbers beside ours."""
