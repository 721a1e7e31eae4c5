package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
)

var (
	errNoProduct    = errors.New("no such product")
	errNoOrder      = errors.New("no such order")
	errAnotherOrder = errors.New("the key is another order's")
)

// schema is what the service finds in its database. It is not for the service to
// make it.
var schema = []string{
	`create table product (id text primary key, name text not null)`,
	`create table purchase (id text primary key, product text not null references product)`,
	postgres.Keys,
}

// database asks PostgreSQL, and asks again where that is safe.
type database struct{ *postgres.DB }

func openDatabase(cfg postgres.Config, t *telemetry) (*database, error) {
	db, err := postgres.Open(cfg, postgres.WithTelemetry(t.observer), postgres.WithObserver(t.others))
	if err != nil {
		return nil, err
	}
	return &database{db}, nil
}

// name of a product.
func (d *database) name(ctx context.Context, id string) (string, error) {
	return d.text(ctx, errNoProduct, `select name from product where id = $1`, id)
}

// purchased is the product of an order.
func (d *database) purchased(ctx context.Context, order string) (string, error) {
	return d.text(ctx, errNoOrder, `select product from purchase where id = $1`, order)
}

// text is the one that a query has for an id. Whoever only reads may be asked again.
func (d *database) text(ctx context.Context, none error, query, id string) (string, error) {
	return postgres.Get(ctx, d.DB, func(ctx context.Context, conn *pgx.Conn) (s string, err error) {
		err = conn.QueryRow(ctx, query, id).Scan(&s)
		if errors.Is(err, pgx.ErrNoRows) {
			err = none
		}
		return s, err
	})
}

// purchase orders a product, and returns the order's id, with an error too. With a
// key the order is there once, however often it is sent. Without one it is not sent
// again if its commit got no answer: that is a [*postgres.CommitUnknownError].
func (d *database) purchase(ctx context.Context, key, product string) (id string, err error) {
	if key == "" {
		id = rand.Text()
		return id, d.Do(ctx, insert(id, product))
	}
	id = "key-" + key // which no other order's is
	if err := d.DoOnce(ctx, key, insert(id, product)); err != nil {
		return id, err
	}
	was, err := d.purchased(ctx, id)
	if err == nil && was != product {
		err = errAnotherOrder
	}
	return id, err
}

func insert(order, product string) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into purchase select $1, id from product where id = $2`, order, product)
		if err == nil && tag.RowsAffected() == 0 {
			err = errNoProduct
		}
		return err
	}
}
