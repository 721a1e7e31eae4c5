package store_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/magnetar-go/magnetar/examples/s3/store"
)

func Example() {
	cfg := aws.Config{ // or that of config.LoadDefaultConfig
		Region:       "us-east-1",
		BaseEndpoint: aws.String("https://s3.example.com"), // for what is not AWS
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}
	st, err := store.New(cfg, store.Chain(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	file, err := os.Open("backup.tar") // as large as it likes: a retry reads it anew
	if err != nil {
		log.Print(err)
		return
	}
	defer file.Close()
	if _, err := st.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("backups"), Key: aws.String("backup.tar"), Body: file,
	}); err != nil {
		log.Print(err)
	}
}

func ExampleStore_Download() {
	st, err := store.New(aws.Config{Region: "us-east-1"}, store.Chain(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	report, err := os.Create("2026-11.csv")
	if err != nil {
		log.Print(err)
		return
	}
	defer report.Close()
	size, err := st.Download(context.Background(), "reports", "2026-11.csv", report) // goes on where it was cut
	fmt.Println(size, err)
}

func ExampleOutlast() {
	st, err := store.New(aws.Config{Region: "us-east-1"}, store.Chain(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	err = store.Outlast(ctx, func(ctx context.Context) error { // a job has time
		_, err := st.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("backups"), Key: aws.String("old.tar")})
		return err
	})
	fmt.Println(err)
}
