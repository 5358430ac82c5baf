#!/bin/bash

# t/obs/profile.sh HOME SERVER KEY CLIP [X264-SETTINGS]: writes the settings
# of an OBS that plays a clip in a loop and streams it in 640x360.

set -eu

home=$1 server=$2 key=$3 clip=$4 x264=${5:-}
folder=$home/.config/obs-studio
profile=$folder/basic/profiles/Test

mkdir -p "$profile" "$folder/basic/scenes"

cat >"$folder/global.ini" <<INI
[General]
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false
FirstRun=true
EnableAutoUpdates=false
ConfirmOnExit=false
LastVersion=486539266
InfoIncrement=1

[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
ConfigOnNewProfile=false

[BasicWindow]
PreviewEnabled=false
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
SysTrayEnabled=false

[OBSWebSocket]
FirstLoad=false
ServerEnabled=false
INI

cat >"$profile/basic.ini" <<INI
[General]
Name=Test

[Output]
Mode=Simple
Reconnect=true
RetryDelay=2
MaxRetries=25

[SimpleOutput]
VBitrate=600
ABitrate=96
StreamEncoder=x264
Preset=ultrafast
UseAdvanced=$([[ -n $x264 ]] && echo true || echo false)
x264Settings=$x264

[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSType=0
FPSCommon=30
ScaleType=bilinear

[Audio]
SampleRate=48000
ChannelSetup=Stereo
INI

cat >"$profile/service.json" <<JSON
{
  "type": "rtmp_custom",
  "settings": { "server": "$server", "key": "$key", "use_auth": false }
}
JSON

cat >"$folder/basic/scenes/Test.json" <<JSON
{
  "name": "Test",
  "current_scene": "Scene",
  "current_program_scene": "Scene",
  "scene_order": [ { "name": "Scene" } ],
  "current_transition": "Cut",
  "transition_duration": 300,
  "preview_locked": false,
  "groups": [],
  "transitions": [],
  "modules": {},
  "sources": [
    {
      "id": "scene", "versioned_id": "scene", "name": "Scene",
      "enabled": true, "volume": 1.0, "mixers": 0,
      "settings": { "custom_size": false, "id_counter": 1, "items": [ {
        "name": "Clip", "id": 1, "visible": true, "locked": false,
        "rot": 0.0, "align": 5, "bounds_type": 2, "bounds_align": 0,
        "pos": { "x": 0.0, "y": 0.0 },
        "scale": { "x": 1.0, "y": 1.0 },
        "bounds": { "x": 640.0, "y": 360.0 },
        "crop_left": 0, "crop_top": 0, "crop_right": 0, "crop_bottom": 0
      } ] }
    },
    {
      "id": "ffmpeg_source", "versioned_id": "ffmpeg_source",
      "name": "Clip", "enabled": true, "volume": 1.0, "mixers": 255,
      "settings": {
        "is_local_file": true, "local_file": "$clip", "looping": true,
        "hw_decode": false, "restart_on_activate": false,
        "close_when_inactive": false
      }
    }
  ]
}
JSON
