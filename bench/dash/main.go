// Dash measures how long the dashboard's server takes to answer, over a store
// of generated page views: every page that shows figures, over 1, 7, 14 and 30
// days. Answers are asked for over loopback HTTP and read whole.
//
// "cold" is the first time that a question is asked, of a server that has been
// ready for half a minute; "warm" is later ones, while the store takes in page views and figures
// are made anew in the background.
//
// The store is the demo's world, made once and kept in -dir for the next run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"catchment/internal/store"
)

func main() {
	log.SetFlags(0)
	var (
		views = flag.Int("views", 5_000_000, "page views")
		days  = flag.Int("days", 14, "over so many days before today")
		base  = flag.String("dir", ".cache", "where stores are kept from run to run")
		data  = flag.String("data", "", "a store that there is, instead")
		once  = flag.Int("rounds", 3, "how often everything is asked again, after the first time")
		pause = flag.Duration("pause", 15*time.Second, "between rounds")
	)
	flag.Parse()
	dir := *data
	if dir == "" {
		dir = filepath.Join(*base, fmt.Sprintf("dash-%d-%d-v%d-%s", *views, *days, store.SchemaVersion, time.Now().UTC().Format(time.DateOnly)))
	}
	if err := run(dir, *data == "", *views, *days, *once, *pause); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, make bool, views, days, rounds int, pause time.Duration) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, err := start(ctx, dir, make, views, days, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Second}
	go server.Serve(listener)
	defer server.Close()
	c := &client{base: "http://" + listener.Addr().String() + "/api/v1/", token: s.token, all: map[string]*times{}}
	took, err := c.ready()
	if err != nil {
		return err
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	fmt.Printf("the index of %d page views is there after %.1f s; %d MiB of heap in use\n", s.views(), took.Seconds(), m.HeapAlloc>>20)
	time.Sleep(30 * time.Second)
	for round := range 1 + rounds {
		if round > 0 {
			time.Sleep(pause)
		}
		for _, q := range questions() {
			if err := c.ask(q, round == 0); err != nil {
				return err
			}
		}
	}
	c.print()
	runtime.ReadMemStats(&m)
	fmt.Printf("%d MiB of heap in use at the end, %d MiB from the system\n", m.HeapAlloc>>20, m.Sys>>20)
	stop()
	return s.close()
}

// question is a path, and the page that it belongs to.
type question struct{ page, path string }

func questions() (all []question) {
	add := func(page, path string, parameters ...string) {
		all = append(all, question{page, path + "?" + strings.Join(parameters, "&")})
	}
	add("overview", "overview")
	for _, n := range []int{1, 7, 14, 30} {
		days := "days=" + strconv.Itoa(n)
		for _, by := range []string{"continent", "country", "country,subdivision", "asn"} {
			add("compare by "+by, "compare", days, "by="+by)
		}
		add("compare, drilled", "compare", days, "by=country", "continent=SA")
		add("compare, drilled", "compare", days, "by=country,subdivision", "country=US")
		add("compare, drilled", "compare", days, "by=asn", "country=US", "subdivision=CA")
		add("compare, CSV", "compare", days, "by=asn", "format=csv")
		for _, scheme := range []string{"", "unicast", "global", "regional"} {
			add("offenders", "offenders", days, "scheme="+scheme)
			if scheme != "" {
				add("catchments", "catchments", days, "scheme="+scheme)
				add("a PoP's catchment", "catchments/gru", days, "scheme="+scheme)
				add("a PoP's catchment", "catchments/iad", days, "scheme="+scheme)
			}
		}
		add("resolvers", "resolvers", days, "by=country")
		add("resolvers", "resolvers", days, "by=asn")
		add("stability", "stability", days)
	}
	for _, scheme := range []string{"unicast", "global", "regional"} {
		add("catchment changes", "catchments/changes", "scheme="+scheme)
	}
	for _, edit := range []string{"withdraw gru", "prepend iad:3"} {
		add("what-if", "whatif", "edit="+url.QueryEscape(edit))
	}
	return all
}

type times struct{ cold, warm []time.Duration }

type client struct {
	base, token string
	order       []string
	all         map[string]*times
}

func (c *client) get(path string) (status int, body []byte, took time.Duration, err error) {
	req, err := http.NewRequest(http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0, nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	begin := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, time.Since(begin), err
}

// ready waits until the index is whole.
func (c *client) ready() (time.Duration, error) {
	begin := time.Now()
	for time.Since(begin) < 10*time.Minute {
		_, body, _, err := c.get("catchments?days=1")
		if err != nil {
			return 0, err
		}
		if strings.Contains(string(body), `"state":"ok"`) {
			return time.Since(begin), nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, errors.New("the index is not there after ten minutes")
}

func (c *client) ask(q question, cold bool) error {
	status, body, took, err := c.get(q.path)
	if err != nil {
		return err
	}
	if status != http.StatusOK || len(body) == 0 {
		return fmt.Errorf("%s: %d %.200s", q.path, status, body)
	}
	t := c.all[q.page]
	if t == nil {
		t = &times{}
		c.all[q.page] = t
		c.order = append(c.order, q.page)
	}
	if cold {
		t.cold = append(t.cold, took)
	} else {
		t.warm = append(t.warm, took)
	}
	return nil
}

func (c *client) print() {
	var all times
	fmt.Printf("%-32s %30s   %30s\n%-32s %30s   %30s\n", "", "cold, ms", "warm, ms", "", "p50 / p95 / max", "p50 / p95 / max")
	for _, page := range c.order {
		t := c.all[page]
		all.cold, all.warm = append(all.cold, t.cold...), append(all.warm, t.warm...)
		fmt.Printf("%-32s %30s   %30s\n", page, quantiles(t.cold), quantiles(t.warm))
	}
	fmt.Printf("%-32s %30s   %30s\n", fmt.Sprintf("all (%d and %d answers)", len(all.cold), len(all.warm)), quantiles(all.cold), quantiles(all.warm))
}

// quantiles writes the median, the 95th percentile (the least value that 95 %
// do not exceed) and the largest.
func quantiles(t []time.Duration) string {
	if len(t) == 0 {
		return "–"
	}
	slices.Sort(t)
	ms := func(q float64) float64 {
		return float64(t[min(len(t)-1, max(0, int(q*float64(len(t))+0.9999)-1))].Microseconds()) / 1000
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f", ms(0.5), ms(0.95), ms(1))
}
