'use strict';
// Says the browser's time zone, so that pages show times as the clock on the viewer's wall does.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = window.location.protocol === 'https:' ? '; Secure' : '';
  if (zone) document.cookie = `time_zone=${zone}; path=/admin/; max-age=31536000; SameSite=Lax${secure}`;
}
