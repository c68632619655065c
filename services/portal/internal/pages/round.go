package pages

import "github.com/yimu-ledger/yimu/services/portal/internal/client"

// RoundModel is what became of a list of deliveries that was handed in.
type RoundModel struct {
	Meeting client.Meeting
	Report  client.Report
}

// rowWords says what is wrong with a row. What is not known here is said as the API
// says it, in English.
func rowWords(l Lang, e client.RowError) (words string, english bool) {
	known := map[string]string{
		"cell-blank": "这一格不能空着", "not-a-time": "不是时间，例如 2026-12-01 19:00", "not-a-choice": "只能写规定的几个词", "not-a-hash": "不是凭证的校验码（SHA-256,64 位）",
		"why-missing": "写了下一步，却没有写为什么没送到", "delivered-or-not": "写了没送到的原因，就不能又有凭证或者告知", "next-missing": "没有送到，还要写下一步怎么办", "proof-missing": "送到了，还要有凭证的校验码",
		"no-such-unit": "这次会议的名册上没有这套房", "delivery-time": "时间要在公告以后、投票截止以前，而且不能是将来", "deliveries-closed": "投票已经截止，不能再补登记", "no-silence-rule": "这次会议不交票不计入任何一方，没有什么可告知的",
		"notice-not-posted": "公告还没有张贴", "meeting-cancelled": "会议已经取消", "delivery-wrong": "送达的方式或凭证没有写对",
		"heading-missing": "少了这一列", "heading-twice": "有两列是同一个标题", "file-empty": "文件是空的", "file-too-large": "文件太大了", "file-unreadable": "读不出来：请另存为 CSV(UTF-8)或者 .xlsx", "file-encoding": "文字编码认不出来：请另存为 CSV(UTF-8)或者 .xlsx",
		"control-character": "有看不见的字符", "cell-error": "这一格是出错的公式", "formula-cell": "这一格是公式，请改成文字", "row-too-long": "这一行的格子比标题多", "quotation-marks": "引号不成对",
	}[e.Code]
	if l == English || known == "" {
		return e.Reason, l != English
	}
	return known, false
}
