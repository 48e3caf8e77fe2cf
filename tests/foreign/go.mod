module loglease.example/foreign

go 1.22
