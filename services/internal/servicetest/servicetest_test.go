package servicetest_test

import (
	"net/http"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

func TestSystemRecordsAndReadsWhatItWrote(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102")
	var got struct{ Units, Titles, People int }
	s.Anyone().Get("/estates/" + estate).Want(http.StatusOK).Into(&got)
	if got.Units != 2 || got.Titles != 2 || got.People != 2 {
		t.Fatalf("got %+v", got)
	}
	s.Person(homes[0].Owner).Get("/me").Want(http.StatusOK)
	_, clerk := s.Someone(estate, registry.Clerk)
	clerk.Put("/estates/"+estate, map[string]any{"name": "秀山"}).Want(http.StatusCreated)
	if s.Rows("registry") == "" || len(s.Find(homes[0].Owner)) == 0 {
		t.Fatal("nothing is found where something is")
	}
}
