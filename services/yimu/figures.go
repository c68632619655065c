package main

import (
	"fmt"
	"reflect"
)

// misled names the figures of an estate that are not what its papers must lead
// to, as an expected.json says that. get reads an object of the API.
func misled(expected map[string]any, estate, meeting string, get func(path string) (map[string]any, error)) (wrong []string, err error) {
	estate, meeting = "/estates/"+estate, "/meetings/"+meeting
	for name, want := range expected {
		route, list := estate, false
		switch name {
		case "electorate":
			route += "/electorate"
		case "collection":
			route, list = route+"/collection", true
		case "budget":
			route, list = route+"/budget?year=2022", true
		case "workorders":
			route += "/workorders/summary"
		case "ballots":
			route = meeting + "/ballots/summary"
		case "motions":
			route, list = meeting+"/results", true
		default: // a figure of the estate itself
			want = map[string]any{name: want}
		}
		got, err := get(route)
		if err != nil {
			return wrong, err
		}
		if list {
			wrong = append(wrong, differing(name, want, got["items"])...)
		} else {
			wrong = append(wrong, differing(name, want, any(got))...)
		}
	}
	return wrong, nil
}

// differing says where got has not all that want has; an object may say more.
func differing(place string, want, got any) (wrong []string) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want an object", place, got)}
		}
		for name, value := range want {
			wrong = append(wrong, differing(place+"."+name, value, object[name])...)
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return []string{fmt.Sprintf("%s has %d items, want %d", place, len(list), len(want))}
		}
		for i, value := range want {
			wrong = append(wrong, differing(fmt.Sprintf("%s[%d]", place, i), value, list[i])...)
		}
	default:
		if !reflect.DeepEqual(want, got) {
			wrong = []string{fmt.Sprintf("%s is %v, want %v", place, got, want)}
		}
	}
	return wrong
}
