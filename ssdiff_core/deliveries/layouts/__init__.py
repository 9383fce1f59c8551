"""The layouts of deliveries, one module each. `registry` lists them."""
