#!/bin/sh
# Makes what is missing of the event store's certificates: an authority, and a
# server's certificate signed by it. Clients trust ca/ca.crt and nothing else.
#
#   certificates.sh DIRECTORY NAME…      the names that clients connect to
#
# OWNER=uid:gid may read the server's key; without it, whoever runs this.
# To renew the server's certificate, remove server/tls.crt and run it again.
set -eu
umask 077
dir=$1 names=
shift
for name in "$@"; do names="$names${names:+,}DNS:$name"; done

mkdir -p "$dir/authority" "$dir/ca" "$dir/server"
cd "$dir"
if [ ! -e ca/ca.crt ]; then
	openssl ecparam -name prime256v1 -genkey -noout -out authority/ca.key
	openssl req -x509 -new -sha256 -key authority/ca.key -days 3650 -subj "/O=yimu/CN=event store authority" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out authority/ca.new
	mv authority/ca.new ca/ca.crt
fi
if [ ! -e server/tls.crt ]; then
	# What EventStoreDB wants: a key in RSA or PKCS #8, both uses, one common name for all nodes.
	rm -f server/tls.key
	openssl genrsa -out server/tls.key 3072
	openssl req -new -sha256 -key server/tls.key -subj "/O=yimu/CN=eventstoredb-node" -out authority/server.csr
	printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature,keyEncipherment \
		extendedKeyUsage=serverAuth,clientAuth "subjectAltName=$names" >authority/server.ext
	openssl x509 -req -sha256 -in authority/server.csr -CA ca/ca.crt -CAkey authority/ca.key -days 1095 \
		-extfile authority/server.ext -out authority/server.new
	mv authority/server.new server/tls.crt
fi
chmod 0755 ca server
chmod 0644 ca/ca.crt server/tls.crt
chmod 0440 server/tls.key
[ -z "${OWNER:-}" ] || chown "$OWNER" server/tls.key
