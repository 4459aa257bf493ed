// A path of the web interface without a file is a page of the single-page app, which index.html opens.
function handler(event) {
  const request = event.request;
  const last = request.uri.slice(request.uri.lastIndexOf('/') + 1);
  if (!last.includes('.')) {
    request.uri = '/index.html';
  }
  return request;
}
