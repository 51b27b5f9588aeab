"""The routes: what each call takes and gives. What they do is in `api.services`."""
