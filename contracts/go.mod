module github.com/yimu-ledger/yimu/contracts

go 1.26.0
