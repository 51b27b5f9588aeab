"""How requests come in and answers go out: protocol, limits of a body, problems, paging."""
