# Unit tests and fuzz targets: the pure code with sanitizers, without nginx.
#
#   make -f t/pure.mk units fuzzers OUT=build
#
# build.sh calls this; the results are OUT/unit/test_* and OUT/fuzz/fuzz_*.

OUT       ?= build
UNIT_CC   ?= gcc
FUZZ_CC   ?= clang

PURE      := $(wildcard src/base/*.c src/proto/*.c src/media/*.c \
                        src/manifest/*.c)
TESTS     := $(notdir $(basename $(wildcard t/unit/test_*.c)))
TARGETS   := $(notdir $(basename $(wildcard t/fuzz/fuzz_*.c)))

INCS      := -Isrc/base -Isrc/proto -Isrc/media -Isrc/manifest -It/unit
PACKAGES  := libavfilter libavformat libavcodec libswscale libswresample \
             libavutil libcrypto zlib jansson libcurl
LIBS      := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null || \
               echo -lavfilter -lavformat -lavcodec -lswscale -lswresample \
                    -lavutil -lcrypto -lz -ljansson -lcurl) -lpthread -lm

SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS      = -std=gnu11 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Werror \
             $(SANITIZE) $(INCS) -MMD -MP

# Parsers that are glue: their targets bring what these call of nginx.
GLUE      := src/http/ngx_http_live_uri.c src/http/ngx_http_live_query.c \
             src/ingest/ngx_live_tags.c
NGINX     := $(OUT)/nginx
GLUE_INCS := $(patsubst %,-isystem $(NGINX)/%, src/core src/event \
               src/event/modules src/os/unix src/stream src/http \
               src/http/modules src/http/v2 objs) \
             -Isrc/core -Isrc/ingest -Isrc/http

UNIT_OBJS := $(PURE:%.c=$(OUT)/unit/%.o)
FUZZ_OBJS := $(PURE:%.c=$(OUT)/fuzz/%.o)
GLUE_OBJS := $(GLUE:%.c=$(OUT)/fuzz/%.o)
GLUE_USER := $(OUT)/fuzz/t/fuzz_uri.o $(OUT)/fuzz/t/fuzz_media.o

UNITS     := $(TESTS:%=$(OUT)/unit/%)
FUZZERS   := $(TARGETS:%=$(OUT)/fuzz/%)


.PHONY: units fuzzers objects
.SECONDARY:

units: objects $(UNITS)
fuzzers: $(FUZZERS)
objects: $(UNIT_OBJS)

$(OUT)/unit/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(UNIT_CC) $(FLAGS) -c -o $@ $<

$(OUT)/unit/t/%.o: t/unit/%.c
	@mkdir -p $(@D)
	$(UNIT_CC) $(FLAGS) -Wno-format-truncation -c -o $@ $<

# archives, so that a program depends on what it uses only
$(OUT)/unit/pure.a: $(UNIT_OBJS)
	rm -f $@ && ar rcs $@ $^

$(OUT)/unit/test_%: $(OUT)/unit/t/test_%.o $(OUT)/unit/pure.a
	$(UNIT_CC) $(SANITIZE) -o $@ $^ $(LIBS)

$(OUT)/fuzz/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(OUT)/fuzz/t/%.o: t/fuzz/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(GLUE_OBJS) $(GLUE_USER): INCS += $(GLUE_INCS)
$(GLUE_OBJS) $(GLUE_USER): | $(NGINX)/objs/ngx_auto_config.h

$(NGINX)/objs/ngx_auto_config.h:
	@echo "$@ is not there: run ./build.sh" >&2; exit 1

$(OUT)/fuzz/pure.a: $(FUZZ_OBJS) $(GLUE_OBJS) t/pure.mk
	rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(OUT)/fuzz/fuzz_%: $(OUT)/fuzz/t/fuzz_%.o $(OUT)/fuzz/pure.a
	$(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS)

-include $(shell find $(OUT)/unit $(OUT)/fuzz -name '*.d' 2>/dev/null)
