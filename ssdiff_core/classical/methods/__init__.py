"""Classical fusion methods: one module for each family, one `Method` for each method, all listed in `registry`.

A method's module holds its fusion, its fit to the scene, its reach and the statistics it needs together (see
`method.Method`). To add a method, add it to a family or write a new one, list it in `registry`, and give it a name and
a label in `domain.methods`.
"""
