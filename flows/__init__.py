"""The top floor: Prefect flows, studies and the command line over the plain functions of the other rooms."""
