"""The run as a page: pictures, plots, the funnel and the scores, in one file."""
