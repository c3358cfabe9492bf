"""Other ways to judge a folder of pictures. Each is a process of its own: FOLDER, OUTCOME and perhaps --faces.

Without --faces they do what notebooks do: every picture is decoded whole, squeezed to the size of the network's input,
and judged, face or no face. With it they find and crop faces by facescan's own functions: the same work.
"""
