package transport

import "time"

// base makes monotonic times fit in a word. In a synctest bubble, whose clock
// starts in the year 2000, they are negative.
var base = time.Now()

// now is the monotonic time, never zero: zero stands for none.
func now() int64 { return int64(time.Since(base)) | 1 }

func timeOf(ns int64) time.Time { return base.Add(time.Duration(ns)) }
