module tried

go 1.26
