#!/bin/sh
# Make the keys of this folder anew: real ones, by PuTTYgen (Debian's putty-tools). They open nothing.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -r "$work"' EXIT
: >"$work/none"; printf 'phrase' >"$work/phrase"

save() { # save KIND VERSION PASSPHRASE NAME [MORE-PARAMETERS]
  puttygen "$work/$1" --reencrypt --old-passphrase "$work/none" --new-passphrase "$work/$3" \
    --ppk-param "version=$2${5:+,$5}" -O private -o "$4.ppk"
}

make_key() { # make_key KIND PUTTYGEN-ARGUMENTS
  kind=$1; shift
  puttygen -q "$@" -C "$kind of a test" --new-passphrase "$work/none" -o "$work/$kind"
  puttygen "$work/$kind" --old-passphrase "$work/none" -L -o "$kind.pub"
}

make_key ed25519 -t ed25519
make_key ecdsa256 -t ecdsa -b 256
make_key ecdsa384 -t ecdsa -b 384
make_key ecdsa521 -t ecdsa -b 521
make_key rsa -t rsa -b 2048
for kind in ed25519 ecdsa256 ecdsa384 ecdsa521 rsa; do
  for version in 2 3; do
    save $kind $version none "$kind-v$version"
    save $kind $version phrase "$kind-v$version-phrase"
  done
done
save ed25519 3 phrase ed25519-argon2i kdf=argon2i
save ed25519 3 phrase ed25519-argon2d kdf=argon2d,parallelism=2
save ed25519 3 phrase ed25519-costly memory=262144,passes=1
make_key dsa -t dsa -b 1024
make_key ed448 -t ed448
save dsa 3 none dsa-v3
save ed448 3 none ed448-v3
rm dsa.pub ed448.pub
