// Package store makes an S3 client whose calls go through the kit. It is there
// to be copied: it depends on the kit and the AWS SDK alone.
//
// # One layer that repeats
//
// The SDK's own retries are off: two layers of three tries each would send nine
// requests to a server that is already in trouble, past the budget and the
// breaker of the kit. The SDK makes a request, the kit's transport sends it as
// often as it takes.
//
// # Every try is prepared by the SDK
//
// A signature is good for 15 minutes, and a retry may come later than that: an
// upload that is cut after 20 minutes is sent anew after 20 minutes, with
// credentials that may have been rotated. So a request is not signed once. For
// every retry the SDK's own middleware runs again, from the end of its retry
// loop on: it encodes the body, computes checksums and signs, as it would have
// for a retry of its own. That keeps whatever it does right, such as S3
// Express, SigV4a, trailing checksums and aws-chunked bodies. What the kit adds,
// such as traceparent, is not signed: whatever stands between may rewrite it.
//
// # What can be sent again
//
//   - A body that is an [io.ReaderAt] and an [io.Seeker]: a file,
//     [bytes.Reader], [strings.Reader], [io.SectionReader]. Each retry reads it
//     anew by ReadAt, from where it stood, however large it is; it must not be
//     changed meanwhile.
//   - Any other up to 64 KiB: from the copy that the kit keeps while it is first
//     sent, with the first try's signature.
//   - A larger one as long as nothing of it has been read: when no connection was
//     made, or when S3 refused it before it was sent, for which the SDK asks with
//     Expect: 100-continue from 2 MiB on. Else it is sent once; how that ends is
//     the call's end. Over plain HTTP the SDK refuses such a body itself, for it
//     signs what it sends there.
//
// The calls that S3 makes with POST are marked as repeatable where they are; see
// [repeatable]. A conditional write (IfNoneMatch, IfMatch) whose answer was lost
// may meet itself: a 412 after a retry may be one's own object, whose ETag
// tells.
//
// An answer that has begun is not repeated: when its body dies, whoever reads it
// gets the error, and the breaker a failure. [Store.Download] goes on from there.
// Neither is an error that S3 reports inside a 200 (CopyObject,
// CompleteMultipartUpload).
package store
