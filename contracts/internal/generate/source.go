package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// source is what the comments and constants of a package say.
type source struct {
	doc       string              // of the package
	types     map[string]string   // type → doc comment
	fields    map[string]string   // type.field → comment
	place     map[string]int      // type → where it stands
	events    map[string][]string // event → constants of its streams
	constants map[string]string   // constant → value, of strings
	comments  map[string]string   // constant → comment
	values    map[string][]string // type → values of its constants, in order
}

func newSource() source {
	return source{
		types: map[string]string{}, fields: map[string]string{}, place: map[string]int{}, events: map[string][]string{},
		constants: map[string]string{}, comments: map[string]string{}, values: map[string][]string{},
	}
}

// parse reads the Go files of a folder.
func parse(dir string) (source, error) {
	s := newSource()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return s, err
	}
	set := token.NewFileSet()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return s, err
		}
		if text := file.Doc.Text(); text != "" {
			s.doc = text
		}
		behind := map[int]string{} // comments by line
		for _, group := range file.Comments {
			behind[set.Position(group.Pos()).Line] = oneLine(group.Text())
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				s.declaration(d)
			case *ast.FuncDecl:
				if d.Name.Name == "event" && d.Recv != nil {
					name := d.Recv.List[0].Type.(*ast.Ident).Name
					for constant := range strings.SplitSeq(behind[set.Position(d.End()).Line], ",") {
						if constant = strings.TrimSpace(constant); constant != "" {
							s.events[name] = append(s.events[name], constant)
						}
					}
				}
			}
		}
	}
	return s, nil
}

func (s *source) declaration(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc.Text()
			if doc == "" {
				doc = d.Doc.Text()
			}
			s.types[spec.Name.Name] = oneLine(doc)
			s.place[spec.Name.Name] = len(s.place)
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					s.fields[spec.Name.Name+"."+name.Name] = oneLine(field.Comment.Text())
				}
			}
		case *ast.ValueSpec:
			if d.Tok != token.CONST {
				continue
			}
			for i, name := range spec.Names {
				if i >= len(spec.Values) {
					continue
				}
				literal, ok := spec.Values[i].(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					continue
				}
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					panic(fmt.Sprintf("generate: %s: %v", name.Name, err)) // the parser let it pass
				}
				s.constants[name.Name] = value
				s.comments[value] = oneLine(spec.Comment.Text())
				if of, ok := spec.Type.(*ast.Ident); ok {
					s.values[of.Name] = append(s.values[of.Name], value)
				}
			}
		}
	}
}

// oneLine joins the lines of a comment's first paragraph.
func oneLine(comment string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(comment), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
