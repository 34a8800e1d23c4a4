package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// currentTime asks a vCenter for its time.
func currentTime(ctx context.Context, client *http.Client, url string) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/sdk", strings.NewReader(
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>`+
			`<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`))
	if err != nil {
		return time.Time{}, err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", "urn:vim25/8.0.3.0") // the version of the API
	resp, err := client.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	var answer struct {
		Time  time.Time `xml:"Body>CurrentTimeResponse>returnval"`
		Fault string    `xml:"Body>Fault>faultstring"`
	}
	if err := xml.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return time.Time{}, fmt.Errorf("CurrentTime: %s: %w", resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("CurrentTime: %s: %s", resp.Status, answer.Fault)
	}
	return answer.Time, nil
}
