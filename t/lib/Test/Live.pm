package Test::Live;

# An nginx with our module in a folder and on ports of its own.
#
#     use Test::More;
#     use Test::Live;
#
#     my $t = Test::Live->new();
#
#     $t->write_file_expand('nginx.conf', <<'CONF');
#     %%TEST_GLOBALS%%
#     events { }
#     live { zone 64m; application live { } }
#     stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }
#     http {
#         %%TEST_GLOBALS_HTTP%%
#         server { listen 127.0.0.1:%%PORT_8080%%; location /live/ { ... } }
#     }
#     CONF
#
#     $t->run();
#     is($t->get('/live/none/playlist.m3u8')->{status}, 404, 'no stream');
#     done_testing();
#
# done_testing() ends nginx and adds tests to each file: nginx exits in time,
# nothing above [error] is in its log, and no sanitizer has reported.
#
# new(build => NAME) takes the .so of build/NAME: "./build.sh test" makes that of
# crash points for files with a line "# crash".
#
# PORT_N gives a free port for each number N; get() and ffmpeg_publish() use
# those of 8080 and 1935 where nothing else is said.
#
# Environment: TEST_NGINX_BINARY, TEST_LIVE_SO, TEST_ASAN=1 or TEST_TSAN=1 (the
# .so of build/asan or build/tsan, with its runtime), TEST_LEAVE=1 (keep the
# folder), BUILD_DIR.

use strict;
use warnings;

use parent 'Test::Live::Clip';

use Cwd qw/ abs_path /;
use Fcntl qw/ :flock /;
use File::Basename qw/ dirname /;
use File::Path qw/ make_path remove_tree /;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX qw/ WNOHANG setpgid /;
use Scalar::Util qw/ weaken /;
use Test::More ();
use Time::HiRes qw/ time sleep /;

my $root = abs_path(dirname(__FILE__) . '/../../..');
my $build = abs_path_of($ENV{BUILD_DIR} || "$root/build");

# Outside the range that the kernel takes local ports from.
my @port_range = (20000, 31999);

# How long nginx may take to start, to reload, and to exit.
my $start_limit = $ENV{TEST_ASAN} || $ENV{TEST_TSAN} ? 30 : 15;
my $exit_limit = 15;

my @instances;
my $test_more_done = \&Test::More::done_testing;

{
    no warnings 'redefine';
    *Test::More::done_testing = \&done_testing;
}


sub import {
    my $caller = caller;

    no strict 'refs';
    no warnings 'redefine';
    *{"${caller}::done_testing"} = \&done_testing;
}


# The hidden tests must come before the plan.
sub done_testing {
    $_->finish() for grep { defined } @instances;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $test_more_done->(@_);
}


# daemon => 1: as a daemon, which the signals of a binary upgrade need.
sub new {
    my ($class, %option) = @_;

    my $self = bless {
        daemon   => $option{daemon},
        dir      => tempdir('ngx_live_XXXXXX', TMPDIR => 1),
        ports    => {},
        locks    => [],
        helpers  => {},
        allowed  => [],
        owner    => $$,
    }, $class;

    make_path("$self->{dir}/tmp", "$self->{dir}/logs");

    $self->{binary} = ($ENV{TEST_ASAN} && $ENV{TEST_ASAN_NGINX})
                      || $ENV{TEST_NGINX_BINARY} || find_program('nginx');

    # some tests need what only a build for them has
    my $kind = $option{build} || ($ENV{TEST_ASAN} ? 'asan'
                                  : $ENV{TEST_TSAN} ? 'tsan' : '.');

    $self->{so} = (!$option{build} && $ENV{TEST_LIVE_SO})
                  || "$build/$kind/ngx_live_module.so";

    die "$self->{so} is not there: run ./build.sh\n" unless -f $self->{so};

    push @instances, $self;
    weaken($instances[-1]);

    return $self;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);
    $self->finish() if $self->{owner} == $$;
}


# --- folder, files, ports -----------------------------------------------------

sub dir { return $_[0]{dir} }

sub root { return $root }

sub build_dir { return $build }

sub binary { return $_[0]{binary} }


# The port that stands for PORT_N.  The lock keeps test files that run at the
# same time apart.
sub port {
    my ($self, $n) = @_;

    return $self->{ports}{$n} //= $self->free_port();
}


sub free_port {
    my ($self) = @_;

    my $locks = ($ENV{TMPDIR} || '/tmp') . "/ngx_live_ports.$>";
    my $width = $port_range[1] - $port_range[0];

    make_path($locks);

    for (1 .. 1000) {
        my $port = $port_range[0] + int rand $width;

        open my $lock, '>', "$locks/$port" or next;
        flock($lock, LOCK_EX | LOCK_NB) or next;

        my $probe = IO::Socket::INET->new(
            LocalAddr => "127.0.0.1:$port", Listen => 1, ReuseAddr => 1)
            or next;

        close $probe;
        push @{ $self->{locks} }, $lock;

        return $port;
    }

    die "no free port\n";
}


sub write_file {
    my ($self, $name, $content) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    make_path(dirname($path));
    open my $out, '>:raw', $path or die "cannot write $path: $!\n";
    print $out $content;
    close $out or die "cannot write $path: $!\n";

    return $path;
}


sub read_file {
    my ($self, $name) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    open my $in, '<:raw', $path or return undef;
    local $/;

    return scalar <$in>;
}


sub write_file_expand {
    my ($self, $name, $content) = @_;

    return $self->write_file($name, $self->expand($content));
}


sub expand {
    my ($self, $text) = @_;

    $text =~ s/%%TEST_GLOBALS%%/$self->globals()/ge;
    $text =~ s/%%TEST_GLOBALS_HTTP%%/$self->globals_http()/ge;
    $text =~ s/%%PORT_(\w+)%%/$self->port($1)/ge;
    $text =~ s/%%DIR%%/$self->{dir}/g;
    $text =~ s/%%ROOT%%/$root/g;

    return $text;
}


sub globals {
    my ($self) = @_;

    my @lines = ($self->{daemon} ? 'daemon on;' : 'daemon off;',
                 "pid $self->{dir}/nginx.pid;",
                 "error_log $self->{dir}/error.log info;");

    # the test's folder belongs to root then
    unshift @lines, 'user root;' if $> == 0;

    push @lines, map { "load_module $_;" } $self->stream_module(), $self->{so};

    return join "\n", @lines;
}


sub globals_http {
    my ($self) = @_;

    return join "\n", "access_log $self->{dir}/access.log;",
                      map { "${_}_temp_path $self->{dir}/tmp/$_;" }
                      qw/ client_body proxy fastcgi uwsgi scgi /;
}


# The stream module's file where it is one.
sub stream_module {
    my ($self) = @_;

    my $arguments = $self->version();

    return () unless $arguments =~ /--with-stream=dynamic/;

    my ($modules) = $arguments =~ /--modules-path=(\S+)/;
    my ($prefix) = $arguments =~ /--prefix=(\S+)/;

    $modules ||= ($prefix || '/usr/local/nginx') . '/modules';

    return "$modules/ngx_stream_module.so";
}


# What nginx -V prints.
sub version {
    my ($self) = @_;

    return $self->{version} //= `'$self->{binary}' -V 2>&1`;
}


sub find_program {
    my ($name) = @_;

    return $name if $name =~ m{/};

    for (split(/:/, $ENV{PATH} || ''), '/usr/sbin', '/usr/local/sbin') {
        return "$_/$name" if -x "$_/$name";
    }

    die "no $name on this machine\n";
}


sub abs_path_of {
    my ($path) = @_;

    return $path =~ m{^/} ? $path : "$root/$path";
}


# --- nginx --------------------------------------------------------------------

# run(CONF): starts nginx and returns when it listens and has its workers.
sub run {
    my ($self, $conf) = @_;

    $self->{conf} = $conf || 'nginx.conf';

    my $text = $self->read_file($self->{conf});
    defined $text or die "there is no $self->{conf}\n";

    $self->{master} = $self->start_process(
        { output => 'nginx.out', env => $self->nginx_env() },
        $self->nginx_command($self->{conf}, 'error.log'));

    if ($self->{daemon}) {
        $self->wait_exit($self->{master}, $start_limit);
        $self->poll(sub { $self->adopt() }, $start_limit);
    }

    $self->poll(sub {
        $self->nginx_is_up() or die $self->tail('nginx did not start');

        return $self->listens($text)
               && $self->workers() >= $self->worker_count();
    }, $start_limit) or die $self->tail('nginx does not listen');

    $self->{started} = 1;

    return $self;
}


sub nginx_command {
    my ($self, $conf, $log) = @_;

    $conf = "$self->{dir}/$conf" unless $conf =~ m{^/};

    return ($self->{binary}, '-p', "$self->{dir}/", '-c', $conf,
            '-e', "$self->{dir}/$log");
}


# environment(NAME => VALUE, ...): for nginx, before it is started.
sub environment {
    my ($self, %env) = @_;

    $self->{env} = \%env;
}


# For the sanitizers; their reports come by way of stderr, which nginx sends
# to its error log.
sub nginx_env {
    my ($self) = @_;

    return { tsan_env(), %{ $self->{env} || {} } } if $ENV{TEST_TSAN};
    return $self->{env} || {} unless $ENV{TEST_ASAN};

    my %env = (
        %{ $self->{env} || {} },
        ASAN_OPTIONS  => join(':', qw/ detect_leaks=0 abort_on_error=0
                                       verify_asan_link_order=0
                                       detect_odr_violation=0 /,
                              $ENV{ASAN_OPTIONS} || ()),
        UBSAN_OPTIONS => 'print_stacktrace=1',
    );

    unless ($ENV{TEST_ASAN_NGINX}) {
        $env{LD_PRELOAD} = join ' ', runtime('libasan.so'),
            $env{LD_PRELOAD} // ();
    }

    return \%env;
}


# nginx and libraries are not instrumented; t/tsan/tasks.c tells of nginx's
# queues.
sub tsan_env {
    my ($options) = @_;

    return (LD_PRELOAD => runtime('libtsan.so'),
            TSAN_OPTIONS => join ' ', 'ignore_noninstrumented_modules=1',
                                 'exitcode=0', $options || ());
}


# libsrt throws, and the runtime looks for that when it starts
sub runtime {
    my ($name) = @_;

    chomp(my @paths = map { `gcc -print-file-name=$_` } $name, 'libstdc++.so.6');

    return join ':', map { abs_path($_) } @paths;
}


# Ports of the configuration's listen directives that are TCP and ours.
sub listens {
    my ($self, $text) = @_;

    my %open;

    for my $table ('/proc/net/tcp', '/proc/net/tcp6') {
        open my $in, '<', $table or next;

        while (my $line = <$in>) {
            my (undef, $local, undef, $state) = split ' ', $line;
            $open{hex $1} = 1 if $state eq '0A' && $local =~ /:(\w+)$/;
        }
    }

    $text =~ s/#.*//mg;

    while ($text =~ /\blisten\s+([^;]+);/g) {
        my $address = $1;

        next if $address =~ /\bunix:|\budp\b/;
        next unless $address =~ /^(?:\S+:)?(\d+)(?:\s|$)/;
        return 0 unless $open{$1};
    }

    return 1;
}


sub worker_count {
    my ($self) = @_;

    my $text = $self->read_file($self->{conf});

    return $text =~ /^\s*worker_processes\s+(\d+)/m ? $1 : 1;
}


sub master { return $_[0]{master} }


sub pid_file {
    my ($self, $name) = @_;

    my ($pid) = ($self->read_file($name // 'nginx.pid') // '') =~ /^(\d+)/;

    return $pid;
}


# From here on the master is the one that the pid file names.
sub adopt {
    my ($self) = @_;

    return $self->{master} = $self->pid_file();
}


# Also of a process that is not our child.
sub is_alive {
    my ($self, $pid) = @_;

    return slurp_proc($pid, 'stat') =~ /^\d+ \(.*\) [^ZX]/s;
}


sub children_of { return children($_[1]) }


# Pids of the workers that take connections; with a true argument also of
# those that are shutting down.
sub workers {
    my ($self, $all) = @_;

    my @pids;

    for my $pid (children($self->{master})) {
        my $title = slurp_proc($pid, 'cmdline');

        next unless $title =~ /worker process/;
        next if !$all && $title =~ /shutting down/;
        push @pids, $pid;
    }

    @pids = sort { $a <=> $b } @pids;

    return @pids;
}


sub children {
    my ($parent) = @_;

    my @pids;

    for my $pid (map { m{/(\d+)$} } glob '/proc/[0-9]*') {
        push @pids, $pid
            if slurp_proc($pid, 'stat') =~ /^\d+ \(.*\) \S (\d+)/s
               && $1 == $parent;
    }

    return @pids;
}


sub slurp_proc {
    my ($pid, $file) = @_;

    open my $in, '<', "/proc/$pid/$file" or return '';
    local $/;

    return scalar(<$in>) // '';
}


sub nginx_is_up {
    my ($self) = @_;

    return 0 unless $self->{master};
    return 1 if $self->{daemon} ? $self->is_alive($self->{master})
                                : waitpid($self->{master}, WNOHANG) == 0;

    # nobody knows the exit code of a daemon
    $self->{exit} = $self->{daemon} ? 0 : $?;
    $self->{master} = undef;

    return 0;
}


# True when new workers run and no old one takes connections any more; false
# when nginx refused the configuration.  With a true argument by nginx -s.
sub reload {
    my ($self, $command) = @_;

    my %old = map { $_ => 1 } $self->workers(1);
    my $mark = length $self->log();

    if ($command) {
        my $pid = $self->spawn({ env => $self->nginx_env() },
            $self->nginx_command($self->{conf}, 'error.log'), '-s', 'reload');

        Test::More::diag('nginx -s reload: ' . $self->output($pid))
            if $self->wait_exit($pid, $start_limit);
    } else {
        kill 'HUP', $self->{master};
    }

    my $ok = $self->poll(sub {
        return -1 if substr($self->log(), $mark) =~ /\[emerg\]/;

        my @now = $self->workers();

        return @now >= $self->worker_count() && !grep { $old{$_} } @now;
    }, $start_limit);

    return $ok && $ok > 0;
}


# nginx -t of a file of the folder, or of a text: (exit code, output).
sub nginx_t {
    my ($self, $conf) = @_;

    my $text = defined $conf && $conf =~ /\n/
               ? $self->expand($conf)
               : $self->read_file($conf || 'nginx.conf');

    # alerts of a test of this kind are not those of the running nginx
    $text =~ s{\Q$self->{dir}\E/error\.log}{$self->{dir}/nginx_t.log}g;
    $self->write_file('nginx_t.conf', $text);
    $self->write_file('nginx_t.log', '');

    my $pid = $self->start_process(
        { output => 'nginx_t.out', env => $self->nginx_env() },
        $self->nginx_command('nginx_t.conf', 'nginx_t.log'), '-t');

    my $code = $self->wait_exit($pid, $start_limit);

    my $output = $self->read_file('nginx_t.out');
    $output .= $self->read_file('nginx_t.log') if $code;

    return ($code, $output);
}


# stop(SIGNAL): ends nginx, with QUIT where nothing else is said.  True when it
# went in time and with exit code 0; QUIT waits for connections to end.
sub stop {
    my ($self, $signal) = @_;

    return 1 unless $self->{master};

    kill $signal || 'QUIT', $self->{master};

    unless ($self->poll(sub { !$self->nginx_is_up() }, $exit_limit)) {
        Test::More::diag("nginx did not exit in $exit_limit s");
        kill 'KILL', $self->workers(1), $self->{master};
        waitpid $self->{master}, 0;
        $self->{master} = undef;
        return 0;
    }

    return $self->{exit} == 0;
}


# --- processes ----------------------------------------------------------------

# Options: output (a file of the folder, for stdout and stderr), stdout (a
# file for it alone), env.
sub start_process {
    my ($self, $options, @command) = @_;

    my $pid = fork();
    defined $pid or die "cannot fork: $!\n";

    if ($pid == 0) {
        setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/$options->{output}";
        open STDERR, '>&', \*STDOUT;
        open STDOUT, '>', "$self->{dir}/$options->{stdout}"
            if $options->{stdout};

        $ENV{$_} = $options->{env}{$_} for keys %{ $options->{env} || {} };

        { no warnings; exec { $command[0] } @command; }
        print STDERR "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }

    return $pid;
}


# spawn([OPTIONS,] COMMAND...): a helper, ended with the test at the latest.
sub spawn {
    my ($self, @command) = @_;

    my $options = ref $command[0] ? shift @command : {};
    my ($name) = $command[0] =~ m{([^/]+)$};

    $options->{output} ||= "$name." . ++$self->{spawned} . '.log';

    my $pid = $self->start_process($options, @command);
    $self->{helpers}{$pid} = { name => $name, output => $options->{output} };

    return $pid;
}


# What a helper has printed.
sub output {
    my ($self, $pid) = @_;

    return $self->read_file($self->{helpers}{$pid}{output}) // '';
}


sub is_running {
    my ($self, $pid) = @_;

    my $helper = $self->{helpers}{$pid} or return 0;

    return 0 if defined $helper->{exit};
    return 1 if waitpid($pid, WNOHANG) == 0;

    $helper->{exit} = $? & 127 ? 128 + ($? & 127) : $? >> 8;

    return 0;
}


# The exit code of a helper, as a shell has it; undef when it still runs
# after that many seconds.
sub wait_exit {
    my ($self, $pid, $seconds) = @_;

    $self->{helpers}{$pid} ||= { name => $pid };
    $self->poll(sub { !$self->is_running($pid) }, $seconds // 30);

    return $self->{helpers}{$pid}{exit};
}


# Ends a helper and all that it started.
sub end {
    my ($self, $pid, $signal) = @_;

    return unless $self->is_running($pid);

    kill $signal || 'TERM', -$pid;
    kill 'CONT', -$pid;

    unless (defined $self->wait_exit($pid, 5)) {
        kill 'KILL', -$pid;
        $self->wait_exit($pid, 5);
    }
}


# Runs a command to its end: (exit code, stdout and stderr).
sub command {
    my ($self, @command) = @_;

    my $pid = $self->spawn(@command);
    my $code = $self->wait_exit($pid, 300);

    $self->end($pid, 'KILL') unless defined $code;

    return ($code // 124, $self->output($pid));
}


# --- waiting ------------------------------------------------------------------

# The first true value of the sub, or false after that many seconds.
sub poll {
    my ($self, $sub, $seconds) = @_;

    my $end = time() + $seconds;
    my $step = 0.01;

    while (1) {
        my $value = $sub->();

        return $value if $value;
        return $value if time() > $end;

        sleep $step;
        $step *= 1.5 if $step < 0.1;
    }
}


# The same, and says what did not happen.
sub wait_for {
    my ($self, $sub, $seconds, $what) = @_;

    my $value = $self->poll($sub, $seconds);

    Test::More::diag("no $what in $seconds s") unless $value;

    return $value;
}


# --- HTTP ---------------------------------------------------------------------

# get(PATH, OPTIONS): { status, headers, body, raw }; headers have lower-case
# names, one that occurs several times is a list.  status 0: no answer.
# Options: method, headers (hash or list of pairs), body, port, timeout,
# version ('1.1'), raw (the exact bytes to send instead).
sub get {
    my ($self, $path, %option) = @_;

    my $port = $option{port} || $self->port(8080);
    my $end = time() + ($option{timeout} || 15);

    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$port", Timeout => 5)
        or return failed("cannot connect to port $port: $!");

    my $request = $option{raw} // request($path, $port, %option);

    local $SIG{PIPE} = 'IGNORE';
    $socket->autoflush(1);
    print $socket $request;

    my $raw = '';

    while (1) {
        my $left = $end - time();
        my $bits = '';

        vec($bits, fileno $socket, 1) = 1;

        return failed('timed out', $raw) if $left <= 0;

        # modules of a test may have a handler for children that end
        my $ready = select $bits, undef, undef, $left;

        next if $ready < 0 && $!{EINTR};
        return failed('timed out', $raw) if $ready <= 0;

        my $n = sysread $socket, $raw, 65536, length $raw;

        next if !defined $n && $!{EINTR};
        last unless $n;
    }

    return response($raw, $option{method} || 'GET');
}


sub request {
    my ($path, $port, %option) = @_;

    my $method = $option{method} || 'GET';
    my $version = $option{version} || '1.1';

    my @headers = ref $option{headers} eq 'HASH' ? %{ $option{headers} }
                                                 : @{ $option{headers} || [] };
    my %given = map { lc $_ => 1 } @headers;
    my $text = "$method $path HTTP/$version\r\n";

    $text .= "Host: 127.0.0.1:$port\r\n" unless $given{host};
    $text .= "Connection: close\r\n" unless $given{connection};

    $text .= 'Content-Length: ' . length($option{body}) . "\r\n"
        if defined $option{body};

    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n" . ($option{body} // '');
}


sub response {
    my ($raw, $method) = @_;

    my ($head, $body) = $raw =~ /\A(.*?)\r\n\r\n(.*)\z/s
        or return failed('no response header', $raw);

    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})}
        or return failed("bad status line: $line", $raw);

    my %headers;

    for (@lines) {
        my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/
            or return failed("bad header line: $_", $raw);

        $name = lc $name;

        if (!exists $headers{$name}) {
            $headers{$name} = $value;
        } elsif (ref $headers{$name}) {
            push @{ $headers{$name} }, $value;
        } else {
            $headers{$name} = [ $headers{$name}, $value ];
        }
    }

    my ($truncated, $length) = (0, $headers{'content-length'});

    if (($headers{'transfer-encoding'} || '') eq 'chunked') {
        ($body, $truncated) = dechunk($body);

    } elsif (defined $length && $method ne 'HEAD' && $status != 304) {
        $truncated = length $body < $length;
    }

    return { status => $status, headers => \%headers, body => $body,
             truncated => $truncated, raw => $raw, error => '' };
}


sub dechunk {
    my ($in) = @_;

    my $out = '';

    while ($in =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n//) {
        my $size = hex $1;

        return ($out, 0) if $size == 0;
        return ($out . $in, 1) if length $in < $size + 2;

        $out .= substr $in, 0, $size;
        substr($in, 0, $size + 2) = '';
    }

    return ($out, 1);
}


sub failed {
    my ($error, $raw) = @_;

    return { status => 0, headers => {}, body => '', raw => $raw // '',
             error => $error, truncated => 1 };
}


# --- the log and the end ------------------------------------------------------

# The error log's text, or its lines that match.
sub log {
    my ($self, $pattern) = @_;

    my $text = $self->read_file('error.log') // '';

    return $text unless $pattern;

    return grep { /$pattern/ } split /\n/, $text;
}


# Lines above [error] that match are wanted by this test.
sub allow_log {
    my ($self, $pattern) = @_;

    push @{ $self->{allowed} }, $pattern;
}


# The hidden tests.  Also called by done_testing().
sub finish {
    my ($self) = @_;

    return if $self->{finished}++;

    $self->end($_) for keys %{ $self->{helpers} };
    Test::Live::RTMP::close_all() if defined &Test::Live::RTMP::close_all;

    my $up = !$self->{master} || $self->nginx_is_up();
    my $clean = $self->stop();

    if ($self->{started}) {
        Test::More::ok($up && $clean, 'nginx stays up and exits in time');

        my @alerts = grep { !$self->is_allowed($_) }
                     $self->log(qr/\[(?:alert|emerg|crit)\]/);

        Test::More::ok(!@alerts, 'no alert in the error log')
            or Test::More::diag(join "\n", @alerts[0 .. min($#alerts, 20)]);

        my @reports = $self->sanitizer_reports();

        Test::More::ok(!@reports, 'no sanitizer report')
            or Test::More::diag(join "\n", @reports);
    }

    $self->clean_up();
}


sub is_allowed {
    my ($self, $line) = @_;

    return scalar grep { $line =~ $_ } @{ $self->{allowed} };
}


# What stands below the first line of each report is shown with it.
sub sanitizer_reports {
    my ($self) = @_;

    my @reports;

    for my $file ('error.log', 'nginx.out') {
        my @lines = split /\n/, $self->read_file($file) // '';

        for my $i (0 .. $#lines) {
            next unless $lines[$i] =~ /Sanitizer:|runtime error:/;

            push @reports, @lines[$i .. min($#lines, $i + 15)];
            last if @reports > 64;
        }
    }

    return @reports;
}


sub clean_up {
    my ($self) = @_;

    if (!Test::More->builder->is_passing() || $ENV{TEST_LEAVE}) {
        Test::More::diag($self->tail('failed'));
        return;
    }

    remove_tree($self->{dir});
}


sub tail {
    my ($self, $why) = @_;

    my $text = "$why, see $self->{dir}\n";

    for my $file ('nginx.out', 'error.log') {
        my @lines = split /\n/, $self->read_file($file) // '';
        next unless @lines;

        $text .= join "\n", "--- $file",
                      @lines[max(0, $#lines - 25) .. $#lines], '';
    }

    return $text;
}


sub min { return $_[0] < $_[1] ? $_[0] : $_[1] }

sub max { return $_[0] > $_[1] ? $_[0] : $_[1] }


1;
