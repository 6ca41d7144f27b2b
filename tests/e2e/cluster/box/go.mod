module box

go 1.24
