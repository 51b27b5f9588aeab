"""How jobs and studies look in a notebook."""
