"""The study of upsamplers on generated scenes and on CamVid: runs, results, statistics, report."""
