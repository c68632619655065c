#!/bin/sh
# Says who may do what in EventStoreDB: the ledger's user appends, both users read,
# nobody deletes or changes a stream's metadata. Then it tries, and fails if the
# server grants less or more. May be run again at any time.
#
# Wants curl, and in the environment EVENTSTORE (https://host:2113), CA (file),
# ADMIN_PASSWORD, LEDGER_PASSWORD, READER_PASSWORD. Passwords: letters and digits.
# The server needs EVENTSTORE_ENABLE_ATOM_PUB_OVER_HTTP=true.
set -eu

# call USER PASSWORD METHOD PATH [BODY [TYPE]] prints the status. Passwords go by
# standard input: a command line can be read by others. The headers have another
# prefix since version 25.
call() {
	printf 'user = "%s:%s"\n' "$1" "$2" | curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 --cacert "$CA" --config - \
		--request "$3" ${5:+--data "$5"} --header 'Content-Type: application/json' --header 'Accept: application/json' \
		--header "ES-EventType: ${6:-}" --header "Kurrent-EventType: ${6:-}" \
		--header "ES-EventId: $(event)" --header "Kurrent-EventId: $(event)" "$EVENTSTORE$4"
}
event() { cat /proc/sys/kernel/random/uuid; }
admin() { call admin "$ADMIN_PASSWORD" "$@"; }

# expect WHAT GOT WANTED… ends with an error unless the status is one of those wanted.
expect() {
	what=$1 got=$2
	shift 2
	for wanted in "$@"; do [ "$got" != "$wanted" ] || { echo "$what: $got"; return; }; done
	echo "$what: got $got, want $*" >&2
	exit 1
}

# user NAME PASSWORD makes a user, or gives one that exists this password.
user() {
	status=$(admin POST /users/ "{\"LoginName\":\"$1\",\"FullName\":\"yimu $1\",\"Groups\":[],\"Password\":\"$2\"}")
	case $status in
	409) expect "password of $1" "$(admin POST "/users/$1/command/reset-password" "{\"NewPassword\":\"$2\"}")" 200 ;;
	*) expect "user $1" "$status" 201 ;;
	esac
}

user ledger "$LEDGER_PASSWORD"
user reader "$READER_PASSWORD"
# Of streams without a rule of their own, which are all of ours. A user's name is a role.
expect "default rules" "$(admin POST /streams/%24settings '{
	"$userStreamAcl":   {"$r": ["ledger", "reader"], "$w": "ledger",  "$d": "$admins", "$mr": "$admins", "$mw": "$admins"},
	"$systemStreamAcl": {"$r": "$admins",            "$w": "$admins", "$d": "$admins", "$mr": "$admins", "$mw": "$admins"}}' '$settings')" 201
# $all is a system stream, and what everything here is read from.
expect "rule of \$all" "$(admin POST /streams/%24all/metadata '{"$acl": {"$r": ["ledger", "reader"]}}' '$metadata')" 201

probe=/streams/access-probe
for name in ledger reader; do
	case $name in ledger) password=$LEDGER_PASSWORD ;; *) password=$READER_PASSWORD ;; esac
	expect "$name reads \$all" "$(call "$name" "$password" GET /streams/%24all)" 200
	expect "$name reads no settings" "$(call "$name" "$password" GET /streams/%24settings)" 401 403
	expect "$name deletes nothing" "$(call "$name" "$password" DELETE "$probe")" 401 403
	expect "$name sets no metadata" "$(call "$name" "$password" POST "$probe/metadata" '{}' '$metadata')" 401 403
done
expect "reader appends nothing" "$(call reader "$READER_PASSWORD" POST "$probe" '{}' probe)" 401 403
expect "nobody reads nothing" "$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 --cacert "$CA" "$EVENTSTORE/streams/%24all")" 401 403
