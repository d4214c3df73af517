"""The page on which the administration sets accounts up, tries them, and puts them in order."""
