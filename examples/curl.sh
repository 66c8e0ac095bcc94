#!/bin/sh
# The API with curl alone (7.83 or newer):
#
#   sh curl.sh blurred.jpg
#
# DEBLUR_URL says where the service is (default: http://127.0.0.1:8787, where `npm start` has it), DEBLUR_API_KEY opens it
# (on your own machine nothing has to). Writes restored*, into the present folder.
set -eu
picture=$1
url=${DEBLUR_URL:-http://127.0.0.1:8787}

# What is wrong is a non-zero exit and a JSON body that says so. 429 and 503 are tried again when their Retry-After is over.
deblur() {
  curl -sS --fail-with-body --retry 5 ${DEBLUR_API_KEY:+--oauth2-bearer "$DEBLUR_API_KEY"} "$@"
}
# What is not ready after so many seconds is answered with 202 and a prediction: see 4.
wait='Prefer: wait=60'
told='%{http_code} %{content_type}, placement %header{x-placement}, cache %header{x-cache}\n'

echo '1. A picture in, the restored one out, in its own format:'
deblur "$url/v1/deblur" -H "$wait" --data-binary "@$picture" -o restored -w "$told"

echo '2. With options; the network has done its work, so this is a hit:'
deblur "$url/v1/deblur?format=webp&quality=80&metadata=strip" -H "$wait" --data-binary "@$picture" -o restored.webp -w "$told"

echo '3. In the best format that you say you take, from a form:'
deblur "$url/v1/deblur" -H "$wait" -H 'Accept: image/jpeg;q=0.5, image/avif' -F "image=@$picture" -o restored.avif -w "$told"

echo '4. Without waiting: a prediction, followed event by event until its end:'
prediction=$(deblur "$url/v1/predictions?format=png" -H 'Prefer: respond-async' --data-binary "@$picture" \
  -o /dev/null -w '%header{location}')
deblur "$url$prediction" -H 'Accept: text/event-stream' --no-buffer | grep '^event:'
output=$(deblur "$url$prediction" | grep -o '"output":"[^"]*' | cut -d '"' -f 4)

echo '5. Results have addresses and may be kept for ever: what has not changed is not sent again:'
deblur "$output" -o restored.png --etag-save restored.etag
deblur "$output" -o /dev/null --etag-compare restored.etag -w 'again: %{http_code}, %{size_download} bytes\n'
