#!/usr/bin/env perl

# Varnish in front, as examples/cdn has it: what 200 players ask for
# costs the origin one request an object, and none of them gets anything late
# or old (HTTP-43 to HTTP-60).
#
# alone

use strict;
use warnings;

use Test::More;
use Test::Live;
use Test::Live::CDN;
use Test::Live::CDN::Check;

my $t = Test::Live->new();
my $cdn = Test::Live::CDN->new($t, age => 1);

my $encoder = $cdn->publish();

if ($cdn->varnish()) {
    query($cdn);
    low_latency($cdn);
    polling($cdn);
    aged($cdn);
    idle($cdn);
    early_404($cdn);
    progressive($cdn);
    broken_off($cdn);
    clock($cdn);
    unavailable($cdn, $encoder);
    gone($cdn, $encoder);
    late_404($cdn);
    away($cdn);
}

done_testing();
