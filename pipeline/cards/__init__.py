"""What a run has made, in the forms in which others look for it: a data card and a list of credits."""
