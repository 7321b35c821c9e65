"""The commands of ``essen``, by subject: each builds a job or calls one function of the other rooms."""
