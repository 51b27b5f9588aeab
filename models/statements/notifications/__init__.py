"""Notifications by mail and webhook: written with the change that they are about, and delivered later."""
