"""Archives: many scenes fused on one machine or a cluster with Dask distributed.

The client (`archive`, with `prepare`, `cluster`, `checks`, `runner`, `adapting`, `collection`) finds what is to do,
sends tasks and watches them; it never imports torch. The workers run `tasks` and `parts`. What both exchange is in
`job`.
"""
