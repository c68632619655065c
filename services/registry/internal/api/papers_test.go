package api

import (
	"slices"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// Whatever a unit list holds, a row that nothing is wrong with is one unit that may
// be registered, and no two of them are the same.
func FuzzUnits(f *testing.F) {
	const head = "房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n"
	f.Add([]byte(head + "1-1-101,1,1,101,住宅,89.90,登记,已交付\n1-1-102,1,1,102,住宅,90.00,实测,未售\n"))
	f.Add([]byte(head + "1-1-101,1,1,101,住宅,89.90,登记,已交付\n1-1-101,1,1,101,商铺,-1,合同,已售未交付\n"))
	f.Add([]byte(head + ",,,,,,,\n=1,\"\n\",1,0,车位,99999999999,,\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		sheet, err := paper.Read("房屋.csv", file, unitColumns)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for i, u := range readUnits(sheet) {
			if !sheet.Rows[i].OK() {
				continue
			}
			if err := register.CheckUnit(u); err != nil || u.Area <= 0 || seen[u.Code] {
				t.Fatalf("%+v: %v", u, err)
			}
			seen[u.Code] = true
		}
	})
}

// Whatever a title list holds, the titles of a unit with whose rows nothing is wrong
// are whole, and exactly one of its owners votes for it.
func FuzzTitles(f *testing.F) {
	const head = "房屋编号,业主姓名,证件类型,证件号,手机,份额,表决代表\n"
	f.Add([]byte(head + "1-1-101,甲某,居民身份证,X1,,1/1,是\n1-1-102,乙某,居民身份证,X2,,1/2,是\n1-1-102,丙某,居民身份证,X3,,1/2,否\n"))
	f.Add([]byte(head + "1-1-101,甲某,居民身份证,X1,,1/3,是\n1-1-101,乙某,居民身份证,x-1,,2/3,是\n"))
	f.Add([]byte(head + "1-1-101,某公司,统一社会信用代码,--,,9223372036854775807/9223372036854775807,是\n,,,,,0/0,也许\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		sheet, err := paper.Read("产权.csv", file, titleColumns)
		if err != nil {
			return
		}
		owners := make([]*owner, len(sheet.Rows))
		for i, r := range sheet.Rows {
			owners[i] = readOwner(r)
		}
		for _, of := range paper.Group(owners, func(o *owner) string { return o.code }) {
			checkTitles(of)
			if slices.ContainsFunc(of, func(o *owner) bool { return !o.row.OK() }) {
				continue
			}
			voters, titles := 0, make([]registry.Title, len(of))
			for i, o := range of {
				if titles[i] = o.title; o.title.Votes {
					voters++
				}
				if titles[i].Person = vault.Document(o.person.Document); titles[i].Person == "" || o.code == "" || o.person.Name == "" {
					t.Fatalf("%+v", o)
				}
			}
			if err := register.CheckTitles(titles); err != nil || voters != 1 {
				t.Fatalf("%+v: %v", titles, err)
			}
		}
	})
}
