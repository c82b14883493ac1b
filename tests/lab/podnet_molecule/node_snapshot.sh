#!/bin/sh
# Prints what podnet_molecule/snapshot.py compares of a node. Counters, ages and what the kernel learns by itself are left out.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

section() { printf '\n== %s\n' "$1"; }

# Counters and the time at the top of a dump.
rules() { "$1" | sed -e '/^#/d' -e 's/ \[[0-9]*:[0-9]*\]$//'; }

section links
ip -o link show | sed -e 's/^[0-9]*: //' -e 's/\\ */ /'

section tunnels
ip -d -o link show type vxlan | sed -e 's/^[0-9]*: \([^:@]*\)[:@].*\(vxlan id\)/\1 \2/'

section addresses
ip -o address show | awk '{ print $2, $3, $4 }'

section routes
ip route show table all
ip -6 route show table all | sed -e 's/ expires [0-9]*sec//'

section routing-rules
ip rule show

section forwarding-entries
bridge fdb show | grep permanent || true

section neighbours
ip neighbour show nud permanent

section sysctls
grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/proxy_arp \
  /proc/sys/net/ipv4/conf/*/rp_filter

for program in iptables-nft-save iptables-legacy-save ip6tables-nft-save ip6tables-legacy-save; do
  section "$program"
  rules "$program"
done

section nft
nft --stateless list ruleset

# But those that Felix makes for a moment, to exchange one for another.
section ipsets
ipset list -n | sed -e '/^cali[46]t/d'

section folders
for folder in /var/lib/calico /var/run/calico /var/run/nodeagent /var/log/calico; do
  [ ! -e "$folder" ] || echo "$folder"
done

section addresses-kept-from-flannel
grep -rls podnet-calico /var/lib/cni/networks || true

section files
for folder in /etc/cni /opt/cni /var/lib/cni /run/flannel /var/lib/podnet /etc/systemd/system /run/systemd/transient /etc/sysctl.d; do
  [ -e "$folder" ] || continue
  # systemd makes the folder of transient units when it needs it, and keeps it.
  find "$folder" ! -path /run/systemd/transient -printf '%M %U %p %l\n'
  # Where host-local goes on counting, it remembers in a file of its own.
  find "$folder" -type f ! -name 'last_reserved_ip.*' -exec sha256sum {} +
done

section units
systemctl list-units --all --plain --no-legend 'podnet*'
