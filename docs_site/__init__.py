"""The documentation as a site: the pages in Markdown, the experiments with their pictures, the HTTP reference."""
