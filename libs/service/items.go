package service

// Items answers with a list.
type Items[T any] struct {
	Body struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty" doc:"Pass as after to read on; absent at the end"`
	}
}

// List answers with a list that is read whole.
func List[T any](items []T, err error) (*Items[T], error) {
	return Page(items, err, 0, nil)
}

// Page answers with one page of a list: where it is full, cursor of its last
// item says where to read on.
func Page[T any](items []T, err error, limit int, cursor func(T) string) (*Items[T], error) {
	if err != nil {
		return nil, err
	}
	out := &Items[T]{}
	out.Body.Items = items
	if limit > 0 && len(items) == limit {
		out.Body.Next = cursor(items[limit-1])
	}
	return out, nil
}
