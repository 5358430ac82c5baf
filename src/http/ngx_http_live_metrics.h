
/*
 * The metrics of live_metrics.  A line here makes a metric; docs/metrics.md
 * has to name it (t/lint/docs.pl).
 *
 *     M(scope, name, type, field, unit, help)
 *
 * scope: zone, stream or track, whose structure of ngx_live_stat.h has the
 * field, an uint64_t; unit: what of the field makes 1 of the metric (bits per
 * second become bytes).  hist is
 * a histogram of tracks, in seconds.  objects and classes have a label for
 * each kind of request of a stream.
 */

#ifndef _NGX_HTTP_LIVE_METRICS_H_INCLUDED_
#define _NGX_HTTP_LIVE_METRICS_H_INCLUDED_


#define NGX_HTTP_LIVE_METRICS(M)                                              \
                                                                              \
    M(zone, streaming_active_streams, gauge, live, 1,                         \
      "Streams that have a publisher.")                                       \
    M(zone, streaming_cpu_percent, gauge, busy, 100,                          \
      "CPU that nginx's workers used in the last second, percent of a core.") \
    M(zone, streaming_memory_bytes, gauge, memory, 1,                         \
      "Memory of the workers and of the live zone.")                          \
    M(zone, streaming_ffmpeg_processes, gauge, rungs, 1,                      \
      "Renditions that are being transcoded; they are threads of nginx.")     \
                                                                              \
    M(zone, live_streams, gauge, streams, 1,                                  \
      "Streams in the zone, those included that have ended of late.")         \
    M(zone, live_streams_omitted, gauge, omitted, 1,                          \
      "Streams that have no metrics of their own here.")                      \
    M(zone, live_workers, gauge, workers, 1,                                  \
      "Worker processes, those included that shut down.")                     \
    M(zone, live_held_requests, gauge, held, 1,                               \
      "Requests that wait for what is about to come.")                        \
    M(zone, live_zone_media_bytes, gauge, media, 1,                           \
      "Bytes of media that are in use.")                                      \
    M(zone, live_zone_media_free_bytes, gauge, media_free, 1,                 \
      "Bytes of media that may still be used.")                               \
    M(zone, live_zone_index_bytes, gauge, index, 1,                           \
      "Bytes of the index that are in use.")                                  \
    M(zone, live_zone_index_free_bytes, gauge, index_free, 1,                 \
      "Bytes of the index that are free.")                                    \
    M(zone, live_zone_evicted_bytes_total, counter, total.evicted, 1,         \
      "Bytes of media that were given up before their time.")                 \
    M(zone, live_callbacks_answered_total, counter, total.callbacks, 1,       \
      "Callbacks that were answered by 2xx or 3xx.")                          \
    M(zone, live_callbacks_refused_total, counter,                            \
      total.callbacks_refused, 1,                                             \
      "Callbacks that were answered by another status.")                      \
    M(zone, live_callbacks_failed_total, counter,                             \
      total.callbacks_failed, 1,                                              \
      "Callbacks that were not answered in time, or not sent.")               \
    M(zone, live_zone_publications_total, counter, total.publications, 1,     \
      "Publications that have begun.")                                        \
    M(zone, live_zone_received_bytes_total, counter, total.received, 1,       \
      "Bytes from all publishers.")                                           \
    M(zone, live_zone_sent_bytes_total, counter, total.requests.sent, 1,      \
      "Bytes to all players, headers included.")                              \
    M(zone, live_zone_blocked_requests_total, counter,                        \
      total.requests.blocked, 1,                                              \
      "Requests that were held.")                                             \
                                                                              \
    M(stream, live_stream_up, gauge, live, 1,                                 \
      "1 while the stream has a publisher.")                                  \
    M(stream, live_stream_slate, gauge, slate, 1,                             \
      "1 while a slate plays because the publisher is away.")                 \
    M(stream, live_stream_publications_total, counter, stat.publications, 1,  \
      "Publications of the stream.")                                          \
    M(stream, live_stream_uptime_seconds, gauge, uptime, 1000,                \
      "Since when its publisher is there.")                                   \
    M(stream, live_stream_idle_seconds, gauge, idle, 1000,                    \
      "For how long nothing has come from a publisher.")                      \
    M(stream, live_stream_publisher_standby, gauge, standby, 1,               \
      "1 while another publisher stands by.")                                 \
    M(stream, live_stream_publisher_rtt_seconds, gauge, stat.rtt, 1000000,    \
      "Round trip of the publisher's connection, as the kernel has it.")      \
    M(stream, live_stream_received_bytes_total, counter, stat.received, 1,    \
      "Bytes from publishers.")                                               \
    M(stream, live_stream_received_bytes_per_second, gauge, stat.in.rate, 8,  \
      "What came from the publisher in the last second.")                     \
    M(stream, live_stream_received_average_bytes_per_second, gauge,           \
      stat.in.rate10, 8,                                                      \
      "The same, of the last ten seconds.")                                   \
    M(stream, live_stream_dropped_frames_total, counter, dropped, 1,          \
      "Frames of publishers that were not taken.")                            \
    M(stream, live_stream_discontinuities_total, counter,                     \
      stat.discontinuities, 1,                                                \
      "Interruptions of the timeline.")                                       \
    M(stream, live_stream_viewers, gauge, stat.viewers, 1,                    \
      "Players that have asked for a playlist of late, an estimate.")         \
    M(stream, live_stream_memory_bytes, gauge, memory, 1,                     \
      "Bytes of media in the zone.")                                          \
    M(stream, live_stream_sent_bytes_total, counter, requests.sent, 1,        \
      "Bytes to players, headers included.")                                  \
    M(stream, live_stream_sent_average_bytes_per_second, gauge,               \
      stat.out.rate10, 8,                                                     \
      "What went to all players in the last ten seconds.")                    \
    M(stream, live_stream_blocked_requests_total, counter,                    \
      requests.blocked, 1,                                                    \
      "Requests that were held.")                                             \
    M(stream, live_stream_blocked_seconds_total, counter,                     \
      requests.blocked_ms, 1000,                                              \
      "For how long they were held, together.")                               \
    M(objects, live_requests_total, counter, requests.objects, 1,             \
      "Requests by what they asked for.")                                     \
    M(classes, live_responses_total, counter, requests.classes, 1,            \
      "Responses by class of Cache-Control.")                                 \
                                                                              \
    M(stream, live_transcoder_renditions, gauge, rungs, 1,                    \
      "Renditions that are being transcoded.")                                \
    M(stream, live_transcoder_shed_level, gauge, shed, 1,                     \
      "How much is left out because the machine cannot keep up; 0: nothing.") \
    M(stream, live_transcoder_lag_seconds, gauge, lag, 1000,                  \
      "How far the transcoder is behind.")                                    \
    M(stream, live_transcoder_queue_bytes, gauge, queued, 1,                  \
      "Bytes in the queues of the transcoder.")                               \
    M(stream, live_transcoder_skipped_frames_total, counter, skipped, 1,      \
      "Frames that the transcoder has left out.")                             \
                                                                              \
    M(track, live_track_running, gauge, running, 1,                           \
      "1 while media is made of it.")                                         \
    M(track, live_track_paused, gauge, paused, 1,                             \
      "1 while the transcoder leaves it out.")                                \
    M(track, live_track_frames_total, counter, stat.frames, 1,                \
      "Frames that were published.")                                          \
    M(track, live_track_key_frames_total, counter, stat.keys, 1,              \
      "Key frames of video that were published.")                             \
    M(track, live_track_bytes_total, counter, stat.octets, 1,                 \
      "Bytes of frames that were published.")                                 \
    M(track, live_track_parts_total, counter, stat.parts, 1,                  \
      "Parts that were published.")                                           \
    M(track, live_track_segments_total, counter, stat.segments, 1,            \
      "Segments that were published.")                                        \
    M(track, live_track_gaps_total, counter, stat.gaps, 1,                    \
      "Segments that nothing came for.")                                      \
    M(track, live_track_bytes_per_second, gauge, stat.rate.rate, 8,           \
      "What was published in the last second.")                               \
    M(track, live_track_average_bytes_per_second, gauge, stat.rate.rate10, 8, \
      "The same, of the last ten seconds.")                                   \
    M(track, live_track_frames_per_second, gauge, stat.rate.mhz, 1000,        \
      "Frame rate in the last ten seconds.")                                  \
    M(track, live_track_key_frame_interval_seconds, gauge, stat.key, 1000000, \
      "Between the last two key frames.")                                     \
    M(track, live_track_key_frame_interval_max_seconds, gauge,                \
      stat.key_max, 1000000,                                                  \
      "The longest time between two key frames.")                             \
    M(track, live_track_segment_seconds, gauge, stat.segment, 1000000,        \
      "Duration of the last segment.")                                        \
    M(track, live_track_segment_max_seconds, gauge, stat.segment_max,         \
      1000000,                                                                \
      "Duration of the longest segment.")                                     \
    M(track, live_track_part_seconds, gauge, stat.part, 1000000,              \
      "Duration of the last part.")                                           \
    M(track, live_track_part_max_seconds, gauge, stat.part_max, 1000000,      \
      "Duration of the longest part.")                                        \
    M(track, live_track_memory_bytes, gauge, memory, 1,                       \
      "Bytes of media in the zone.")                                          \
    M(hist, live_part_lateness_seconds, histogram, stat.lateness, 1,          \
      "By how much the last frame of a part came later than its time.")       \
    M(hist, live_part_available_seconds, histogram, stat.available, 1,        \
      "From the last frame of a part until a playlist has it.")


#endif /* _NGX_HTTP_LIVE_METRICS_H_INCLUDED_ */
