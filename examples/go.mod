module github.com/magnetar-go/magnetar/examples

go 1.26.0

replace github.com/magnetar-go/magnetar => ../
