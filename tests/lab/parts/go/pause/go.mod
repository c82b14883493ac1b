module podnet.lab/pause

go 1.26
