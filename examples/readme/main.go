package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
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
		Endpoint: "https://vcenter.example.com", Source: source, Auth: &automation.Authenticator{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close() // logs out

	resp, err := client.Get("https://vcenter.example.com/api/vcenter/vm")
	if err != nil {
		log.Print(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
}
