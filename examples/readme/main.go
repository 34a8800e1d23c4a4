package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

func main() {
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      "https://vcenter.example.com/sts/STSService",
		Username: "alice@vsphere.local", Password: os.Getenv("PASSWORD"),
	})
	if err != nil {
		log.Fatal(err)
	}
	client, transport, err := vmsso.Wrap(http.DefaultClient, vmsso.Config{
		Endpoint: "https://vcenter.example.com/sdk",
		Source:   source,
		Auth:     &soap.Authenticator{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() // logs out

	resp, err := client.Post("https://vcenter.example.com/sdk", "text/xml", strings.NewReader(
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25">`+
			`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`))
	if err != nil {
		log.Print(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
}
