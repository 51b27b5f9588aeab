"""The documentation as a site: the pages in Markdown, the experiments with their images, the HTTP reference."""
