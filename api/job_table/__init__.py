"""Jobs as a table: columns of any parameter, metric or result; sorted, filtered and grouped over all jobs."""
