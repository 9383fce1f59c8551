"""Services shared by the algorithms and the panel."""
